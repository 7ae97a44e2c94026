"""MCP: the tools for agents, over standard input and output and over HTTP. Needs the package `mcp`."""
