/** `*` stands for any characters but `/`, `**` for any at all, `?` for one that is not `/`. */
export function matchesGlob(glob: string, name: string): boolean {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*|\*|\?/g, (token) => ({ '**': '.*', '*': '[^/]*', '?': '[^/]' })[token] ?? token);
  return new RegExp(`^${source}$`, 's').test(name);
}
