/** pg_dump's custom format, which says its own version. */
export const CUSTOM = 'pg-custom'
