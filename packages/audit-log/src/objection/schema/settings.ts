/** Pins what names mean, so that nobody can put a function of their own in place of one that ours call. */
export const settings = 'set search_path = pg_catalog, pg_temp'
