"""Planning: circuits become programs, flat lists of fused gates that engines interpret."""
