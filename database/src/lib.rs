//! Embedded or external PostgreSQL: pools, migrations, tenant transactions, test databases.
