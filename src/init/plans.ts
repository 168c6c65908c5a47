/** Two plans to begin with, each thing on a line of its own, as people like to edit it. `null` is no limit; without `backup` nothing is backed up by itself. */
export const plans = `{
  "free": {
    "displayName": "Free",
    "limits": { "connections": 4, "statementTimeoutMs": 10000, "idleInTransactionMs": 15000, "tempFileMb": 256 },
    "requests": { "perSecond": 20, "concurrent": 8 },
    "features": { "export": false },
    "quotas": { "members": 5 }
  },
  "pro": {
    "displayName": "Pro",
    "limits": { "connections": 20, "statementTimeoutMs": 30000, "idleInTransactionMs": 30000, "tempFileMb": null },
    "requests": { "perSecond": null, "concurrent": 64 },
    "features": { "export": true },
    "quotas": { "members": null },
    "backup": { "every": "24h", "keep": { "daily": 7, "weekly": 4, "monthly": 12 }, "drill": "30d" }
  }
}
`
