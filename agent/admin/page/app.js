/** The page: who has the token sees runs, scripts, tasks and keys. The address after # says which view. */
import { h, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import htm from 'htm';
import { loggedIn, login, logout, whenLoggedOut } from './client.js';
import { Keys, Scripts, Tasks } from './catalog.js';
import { useLive } from './live.js';
import { Run } from './run.js';
import { Runs } from './runs.js';

const html = htm.bind(h);

const VIEWS = { runs: Runs, scripts: Scripts, tasks: Tasks, keys: Keys };

function App() {
  const [here, setHere] = useState(location.hash);
  const [known, setKnown] = useState(loggedIn());
  useEffect(() => {
    const move = () => setHere(location.hash);
    addEventListener('hashchange', move);
    whenLoggedOut(() => setKnown(false));
    return () => removeEventListener('hashchange', move);
  }, []);
  if (!known) return html`<${Login} onDone=${() => setKnown(true)} />`;
  const [, view = 'runs', rest = ''] = /^#\/([a-z]*)\/?([^?]*)/.exec(here) ?? [];
  const query = new URLSearchParams(here.split('?')[1] ?? '');
  return html`
    <a class="skip" href="#main" onClick=${skip}>To the content</a>
    <header>
      <strong>mediator-agent</strong>
      <nav aria-label="Views">
        ${Object.keys(VIEWS).map((name) => html`<a href="#/${name}" aria-current=${view === name || (view === 'run' && name === 'runs') ? 'page' : null}>${name}</a>`)}
      </nav>
      <${Status} />
      <button onClick=${logout}>Log out</button>
    </header>
    <main id="main" tabindex="-1">
      ${view === 'run' ? html`<${Run} key=${rest} id=${rest} />` : html`<${VIEWS[view] ?? Runs} query=${query} />`}
    </main>
  `;
}

/** A link would change the view. */
function skip(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

function Status() {
  const { value, error } = useLive('/status', 3000);
  if (error !== '') return html`<span class="status bad" role="status">${error}</span>`;
  if (value === undefined) return html`<span class="status" role="status"></span>`;
  const { running, queued, draining, version } = value;
  return html`<span class="status" role="status">${running} running, ${queued} queued${draining ? ', stopping' : ''} · ${version}</span>`;
}

function Login({ onDone }) {
  const [error, setError] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    try {
      await login(new FormData(event.target).get('token').trim());
      onDone();
    } catch (failure) {
      setError(failure.message);
    }
  };
  return html`
    <main class="login">
      <h1>mediator-agent</h1>
      <form onSubmit=${submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
        <button>Log in</button>
        <p class="bad" role="alert">${error}</p>
        <p class="faint">It is in the file that admin.token-file in agent.yaml names.</p>
      </form>
    </main>
  `;
}

render(html`<${App} />`, document.body);
