"""States of sequences: walking their tensors, packing them, keeping them in a tree."""
