"""The HTML pages. A page calls the same acts as REST; what happens live on it goes through REST."""
