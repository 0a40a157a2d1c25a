// `npm run image [-- --reference NAME:TAG] [--output FILE]`: the image as a file for `docker load`, `ctr -n k8s.io images import` or `k3s ctr images import`.
import { parseArgs } from 'node:util';
import { buildImage } from './image.ts';

const { values } = parseArgs({
  options: {
    reference: { type: 'string', default: `hedgerow.dev/hedgerow:${process.env.npm_package_version ?? '0.1.0'}` },
    output: { type: 'string', default: '.hedgerow/hedgerow-image.tar' },
  },
});
const built = await buildImage({ reference: values.reference, file: values.output });
console.log(`${built.file}: ${built.reference}, ${(built.bytes / 1e6).toFixed(0)} MB, id sha256:${built.id}`);
