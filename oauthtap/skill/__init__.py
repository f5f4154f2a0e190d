"""What a coding agent is taught: `SKILL.md` for Claude Code and others, `AGENTS.md` as a snippet for a repository."""
