import { svelte } from "@sveltejs/vite-plugin-svelte"
import { defineConfig } from "vite"

export default defineConfig({
  base: "/dashboard/",
  plugins: [svelte()],
  // Everything that is shown comes from files: the page's policy allows no inline script and no data: script.
  build: { target: "esnext", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
})
