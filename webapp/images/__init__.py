"""Files by digest, the images of a project, uploads and their items."""
