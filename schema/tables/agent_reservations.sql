CREATE TABLE agent_reservations (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- plumb: ignore foreign-key-without-index: organizations are purged rarely, and slots are few
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    agent_name      text NOT NULL,
    during          tstzrange NOT NULL,
    cancelled       boolean NOT NULL DEFAULT false,
    -- One live reservation per agent at a time. btree_gist lets "=" take part.
    CONSTRAINT agent_reservations_no_overlap
        EXCLUDE USING gist (organization_id WITH =, agent_name WITH =, during WITH &&) WHERE (NOT cancelled)
);

COMMENT ON TABLE agent_reservations IS 'Exclusive time slots on a dedicated agent';
