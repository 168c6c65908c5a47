-- Up Migration
-- Nothing to do: here a check is valid from the moment it is added. The name keeps both engines at one version.

-- Down Migration
