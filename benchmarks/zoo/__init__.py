"""Networks that people have, each as a momentum twin: what is accepted, and whether it is right."""
