DROP TABLE seed_chunks;
