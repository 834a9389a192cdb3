"""The rows of the table: one module for each thing that is measured. `NAME`, and `measure(plan)`, which yields rows."""
