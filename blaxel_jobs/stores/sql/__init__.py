"""The stores in a database: one schema, one mapping of rows, one set of hot statements for each kind of database."""
