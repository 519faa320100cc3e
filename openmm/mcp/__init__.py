"""The MCP server: the door for AI agents."""
