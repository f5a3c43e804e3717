"""Write the pages."""

from labctl.reference import write

write()
