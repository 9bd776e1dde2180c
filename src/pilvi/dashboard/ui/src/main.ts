// The page's beginning: what was chosen earlier (theme, language), then the application.
import { mount } from "svelte"
import "./app.css"
import App from "./App.svelte"
import { settings } from "./api/settings.svelte.ts"

settings.apply()
mount(App, { target: document.getElementById("app")! })

// A part of the page could not be had: the network changed in the middle of it, or the cloud has a newer page by now. Then from the start,
// at the place that was asked for; but not for ever.
const RELOADED = "pilvi-reloaded"
addEventListener("vite:preloadError", (event) => {
  if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < 10_000) return
  event.preventDefault()
  sessionStorage.setItem(RELOADED, String(Date.now()))
  location.reload()
})
