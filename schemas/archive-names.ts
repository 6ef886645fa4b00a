/** The archives of a deployment: of its own bus, and of the native events about its runs. */
export const archiveNamesOf = (prefix: string): { readonly own: string; readonly native: string } => ({
  own: prefix,
  native: `${prefix}-native`,
});
