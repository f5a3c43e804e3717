"""Reaching into a running lab: commands on its nodes, files to and from them, their logs, all of it in one archive."""
