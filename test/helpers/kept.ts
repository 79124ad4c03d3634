/** For scripts of tests that print to both streams in an order that is certain. */

/** In bash: `kept STREAM BYTES` waits until so much of what the run printed there is in the spool. @param state the agent's folder */
export function keptFunction(state: string): string {
  return `kept() { until [ "$(stat -c %s "${state}/spool/$MEDIATOR_RUN/$1" 2>/dev/null)" = "$2" ]; do sleep 0.01; done; }`;
}
