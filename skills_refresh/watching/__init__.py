"""Where changes come from: planned directories are armed, hints are taken, audits find what no hint told."""
