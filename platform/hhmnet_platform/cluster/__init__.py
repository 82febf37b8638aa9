"""Ray: available resources, starting or joining Ray, and the mesh of workers."""
