// Asks a service again and again whether it can serve, or lead.
export { checkHealth, type Health } from "./health-check.ts";
