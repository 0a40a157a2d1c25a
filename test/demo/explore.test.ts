import { expect, it } from 'vitest';
import { exploreLines, type Kept } from './explore.ts';

const kept: Kept = {
  kubeconfig: '/cache/demo.kubeconfig',
  binDir: '/cache/bin',
  namespace: 'berlin',
  cameras: 'hamburg',
  logs: ['/cache/operator.log'],
  nameFlag: '',
  broker: { port: 28883, caFile: '/cache/ca.pem' },
};

it('what is printed can be pasted: each command on a line of its own', () => {
  const lines = exploreLines(kept).map((line) => line.trim());
  expect(lines).toContain('export KUBECONFIG=/cache/demo.kubeconfig');
  expect(lines).toContain('kubectl apply -f crds/samples/smart-office && kubectl wait --for=condition=Ready device --all -n berlin');
  expect(lines.at(-1)).toBe('To end it: Ctrl-C here, or  npm run demo -- --stop');
});

it("a cluster of one's own brings no kubectl along", () => {
  expect(exploreLines({ ...kept, binDir: undefined }).join('\n')).not.toContain('PATH=');
});

it('a demo of another name is stopped by that name', () => {
  expect(exploreLines({ ...kept, nameFlag: '--name mine ' }).at(-1)).toContain('-- --name mine --stop');
});
