"""How the tables came to be, step by step; alembic keeps in the database which steps were taken."""
