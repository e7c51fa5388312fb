-- The rows that the first version begins with.
INSERT INTO plumb.ledger_version (version) VALUES (1);
INSERT INTO plumb.lease (token) VALUES (0);
