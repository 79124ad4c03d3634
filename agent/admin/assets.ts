/** The files of the page: read once, and served by name. In a release archive, app.js is one file and the libraries are in it. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** By a path that is right from this file, and from a bundle in a neighbouring folder. */
const PAGE = fileURLToPath(new URL('../../agent/admin/page/', import.meta.url));
const TYPES: Record<string, string> = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };
const LIBRARIES = ['preact', 'preact/hooks', 'htm'];

export interface Asset {
  type: string;
  body: Buffer;
}

export class Assets {
  readonly #files = new Map<string, Asset>();
  /** Nothing but what this agent serves: no other source, no script or style in the text, no frame, no form. */
  readonly policy: string;

  constructor() {
    for (const name of readdirSync(PAGE)) {
      const type = TYPES[name.split('.').at(-1) ?? ''];
      if (type !== undefined) this.#files.set(`/${name}`, { type: `${type}; charset=utf-8`, body: readFileSync(`${PAGE}${name}`) });
    }
    const bundled = this.#files.get('/app.js')?.body.includes("from 'preact'") === false;
    const map = bundled ? '' : this.#serveLibraries();
    const html = this.#files.get('/index.html')?.body.toString().replace('<!-- libraries -->', map) ?? '';
    this.#files.set('/', { type: 'text/html; charset=utf-8', body: Buffer.from(html) });
    const hash =
      map === ''
        ? ''
        : ` 'sha256-${createHash('sha256')
            .update(map.replace(/<[^>]*>/g, ''))
            .digest('base64')}'`;
    this.policy =
      `default-src 'none'; script-src 'self'${hash}; style-src 'self'; img-src 'self'; connect-src 'self'; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
  }

  of(path: string): Asset | undefined {
    return this.#files.get(path);
  }

  /** Returns the import map that names them. */
  #serveLibraries(): string {
    const imports: Record<string, string> = {};
    for (const library of LIBRARIES) {
      const path = `/lib/${library.replace('/', '-')}.js`;
      const file = fileURLToPath(import.meta.resolve(library));
      this.#files.set(path, { type: 'text/javascript; charset=utf-8', body: readFileSync(file) });
      imports[library] = path;
    }
    return `<script type="importmap">${JSON.stringify({ imports })}</script>`;
  }
}
