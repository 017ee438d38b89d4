-- Forgets which creates were done: one that is repeated afterwards makes a second user.

DROP TABLE idempotent_creates;
DROP TABLE idempotency_keys;
