-- Invoice numbers are shared by all organizations and must not restart.
CREATE SEQUENCE invoice_number_seq START WITH 10000;

CREATE TABLE invoices (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    number          bigint NOT NULL DEFAULT nextval('invoice_number_seq') UNIQUE,
    period_start    date NOT NULL,
    -- plumb: ignore char-type: the codes of ISO 4217 have three letters
    currency        char(3) NOT NULL DEFAULT 'USD',
    net_cents       bigint NOT NULL,
    tax_cents       bigint NOT NULL DEFAULT 0,
    total_cents     bigint GENERATED ALWAYS AS (net_cents + tax_cents) STORED,
    paid_at         timestamptz,
    CONSTRAINT invoices_org_period_currency_key UNIQUE (organization_id, period_start, currency)
);
