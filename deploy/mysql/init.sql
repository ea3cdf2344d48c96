-- What prewarm needs of MySQL: a schema of its own for the ledger, and to read the shops. The passwords are for trying
-- it on one machine; docker-compose.yml has them too.

CREATE DATABASE prewarm CHARACTER SET utf8mb4;
CREATE USER prewarm IDENTIFIED BY 'prewarm';
GRANT CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, DELETE ON prewarm.* TO prewarm;

CREATE DATABASE shop CHARACTER SET utf8mb4;
CREATE USER prewarm_reader IDENTIFIED BY 'prewarm';
GRANT SELECT ON shop.* TO prewarm_reader;
