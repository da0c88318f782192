"""The walk over noise levels: schedules and samplers, no networks."""
