"""Schedules of noise levels and samplers: the mathematics of diffusion, no networks."""
