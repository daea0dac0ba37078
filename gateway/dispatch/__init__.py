"""Tasks to officers' radios: to whom, by which gateway terminal, and what became of them."""
