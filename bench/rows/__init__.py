"""The rows of the table: one module for each thing that is measured.

`NAME`; `measure(plan)`, which yields rows; `TAKES_S`, for five rounds on two cores that have nothing else to do.
"""
