/** The page's side of the API. The second secret of the session stays in this origin's storage; the cookie alone opens nothing. */
const KEY = 'mediator-session';

export class ApiError extends Error {}

/** Called when the session has ended. */
let onLogout = () => undefined;
export function whenLoggedOut(callback) {
  onLogout = callback;
}

export const loggedIn = () => localStorage.getItem(KEY) !== null;

export async function login(token) {
  const { csrf } = await call('POST', '/session', { token });
  localStorage.setItem(KEY, csrf);
}

export async function logout() {
  await call('DELETE', '/session').catch(() => undefined);
  forget();
}

export async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.json();
}

export const get = (path) => call('GET', path);
export const post = (path) => call('POST', path);

/** Saves what a path gives as a file. A link could not: it does not send the second secret. */
export async function download(path, name) {
  const response = await send('GET', path);
  const url = URL.createObjectURL(await response.blob());
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Calls back with each line of a stream until it ends. */
export async function lines(path, signal, onLine) {
  const response = await send('GET', path, undefined, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const found = (rest + part.value).split('\n');
    rest = found.pop();
    for (const line of found) onLine(JSON.parse(line));
  }
}

async function send(method, path, body, signal) {
  const headers = { 'x-mediator-csrf': localStorage.getItem(KEY) ?? '' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetch(`/api${path}`, { method, headers, body: sent, signal }).catch((cause) => {
    throw cause.name === 'AbortError' ? cause : new ApiError('the agent does not answer', { cause });
  });
  if (response.ok) return response;
  const failure = await response.json().catch(() => undefined);
  if (response.status === 401 && path !== '/session') forget();
  throw new ApiError(failure?.error?.message ?? `HTTP ${response.status}`);
}

function forget() {
  localStorage.removeItem(KEY);
  onLogout();
}
