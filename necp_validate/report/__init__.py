"""Reports on a stored run: the verdict file, HTML, JUnit, Markdown, comparison, and the gate."""
