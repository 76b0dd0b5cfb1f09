import { defineConfig } from 'vitest/config';

/** What needs LibreOffice (`npm run test:office`): not a part of `npm test`. */
export default defineConfig({
  test: { include: ['test/office/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 180_000 },
});
