"""Code that stands on a library for gradients, or on arrays that live anywhere."""
