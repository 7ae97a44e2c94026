"""Long work that can be stopped and resumed: lists of texts, and what has been made of them."""
