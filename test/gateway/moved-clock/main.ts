// The gateway's own program on a node whose wall clock is set forward by a minute and a second whenever SIGUSR2 comes: what it says once a minute need not be waited for.
// Timers and the monotonic clock go on as they are.
const STEP_MS = 61_000;
const now = Date.now;
let aheadMs = 0;
Date.now = () => now() + aheadMs;
process.on('SIGUSR2', () => {
  aheadMs += STEP_MS;
});
await import('../../../edge-k3s/gateway/main.ts');
