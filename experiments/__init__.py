"""Results and how they were obtained: `papers`, `applications`, `benchmarks`, each with its files.

Results go one way: `result_files` are read, `result_tables` and `results_page` render them,
`documents` fills the documents, and `record` and `reproduce` call it.
"""
