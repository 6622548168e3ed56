"""Load on topics of the user's own: values from a schema, an identity in a header, a fresh read-back."""
