import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: { target: 'es2022', sourcemap: false },
  // For `vite dev`: everything but the page comes from a running server.
  server: { proxy: Object.fromEntries(['/api', '/v1', '/health'].map((path) => [path, 'http://127.0.0.1:8080'])) },
});
