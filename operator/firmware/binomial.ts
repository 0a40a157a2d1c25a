// The binomial distribution, to the last digits of a double, for samples of up to millions of devices. Pure.

/** P(X <= k) for X of n trials that each fail with probability p. */
export function atMost(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  if (k >= n) return 1;
  if (p === 0 || p === 1) return p === 0 ? 1 : 0;
  // The shorter way: the side of k on which the terms fall.
  return k < n * p ? tail(k, n, p) : 1 - tail(n - k - 1, n, 1 - p);
}

/** P(X >= k). */
export const atLeast = (k: number, n: number, p: number): number => atMost(n - k, n, 1 - p);

/**
 * One-sided exact bounds of the share that fails when k of n did (Clopper and Pearson 1934), each at the given confidence: the true share is above `upper` with
 * probability 1 - confidence at most, and below `lower` likewise.
 */
export function bounds(k: number, n: number, confidence: number): { lower: number; upper: number } {
  const rest = 1 - confidence;
  return {
    lower: k === 0 ? 0 : firstWhere((p) => atLeast(k, n, p) > rest),
    upper: k >= n ? 1 : firstWhere((p) => atMost(k, n, p) <= rest),
  };
}

/** The sum of the terms k, k-1, … 0 where they fall as the index does. */
function tail(k: number, n: number, p: number): number {
  let term = Math.exp(logProbability(k, n, p));
  let sum = term;
  for (let i = k; i > 0 && term > sum * Number.EPSILON; i--) {
    term *= (i * (1 - p)) / ((n - i + 1) * p);
    sum += term;
  }
  return Math.min(1, sum);
}

/** Log of P(X = k) by saddle point, which loses no digits to large logarithms that cancel (C. Loader, Fast and Accurate Computation of Binomial Probabilities, 2000). */
function logProbability(k: number, n: number, p: number): number {
  if (k === 0) return n * Math.log1p(-p);
  if (k === n) return n * Math.log(p);
  const stirling = stirlingError(n) - stirlingError(k) - stirlingError(n - k);
  const deviances = deviance(k, n * p) + deviance(n - k, n * (1 - p));
  return stirling - deviances - 0.5 * Math.log((2 * Math.PI * k * (n - k)) / n);
}

/** log(n!) minus Stirling's formula. */
function stirlingError(n: number): number {
  if (n < 16) return logFactorial(n) - (n + 0.5) * Math.log(n) + n - 0.5 * Math.log(2 * Math.PI);
  const square = n * n;
  return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / n;
}

function logFactorial(n: number): number {
  let product = 1;
  for (let i = 2; i <= n; i++) product *= i;
  return Math.log(product);
}

/** x log(x/m) + m - x, by a series where x is near m. */
function deviance(x: number, m: number): number {
  if (Math.abs(x - m) >= 0.1 * (x + m)) return x * Math.log(x / m) + m - x;
  const v = (x - m) / (x + m);
  let sum = (x - m) * v;
  let power = 2 * x * v;
  for (let j = 3; ; j += 2) {
    power *= v * v;
    const next = sum + power / j;
    if (next === sum) return sum;
    sum = next;
  }
}

/** The least p of 0 to 1, to 1e-12, from which on a condition holds that holds for all larger ones. */
function firstWhere(holds: (p: number) => boolean): number {
  let [low, high] = [0, 1];
  while (high - low > 1e-12) {
    const middle = (low + high) / 2;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}
