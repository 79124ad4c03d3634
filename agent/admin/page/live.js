/** What is shown is fetched again and again while somebody looks. */
import { useEffect, useState } from 'preact/hooks';
import { get } from './client.js';

/** Returns what the path gives, what went wrong, and a function that asks at once. */
export function useLive(path, every) {
  const [state, setState] = useState({ path, value: undefined, error: '' });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let timer;
    let gone = false;
    const ask = async () => {
      clearTimeout(timer);
      try {
        const value = document.hidden ? undefined : await get(path);
        if (!gone && value !== undefined) setState({ path, value, error: '' });
      } catch (error) {
        if (!gone) setState((old) => ({ path, value: old.path === path ? old.value : undefined, error: error.message }));
      }
      if (!gone && every > 0) timer = setTimeout(ask, every);
    };
    const wake = () => !document.hidden && ask();
    document.addEventListener('visibilitychange', wake);
    ask();
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, [path, every, turn]);
  return { ...(state.path === path ? state : { value: undefined, error: '' }), again: () => setTurn((count) => count + 1) };
}
