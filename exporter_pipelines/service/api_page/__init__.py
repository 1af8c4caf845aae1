"""The API's documentation as a page: rendered here, without a script and without other hosts."""
