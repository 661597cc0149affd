"""The Flask application of one appliance, put together: guard, pages, API, health, metrics."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from app.accounts.accounts import Accounts, make_accounts
from app.accounts.proxy import TrustedProxy
from app.api.routes import api_blueprint
from app.api.services import make_services
from app.appliance_metrics import ApiFigures
from app.forms import protect_forms
from app.guard import current_person, stand_guard
from app.identify import identify_by
from app.languages import speak
from app.pages.account import account_pages
from app.pages.audit import audit_pages
from app.pages.bills import bill_pages
from app.pages.dashboards import dashboard_pages
from app.pages.desk import desk_pages
from app.pages.display import display_pages
from app.pages.frame import add_frame
from app.pages.live import live_pages
from app.pages.login import login_pages
from app.pages.pictures import picture_pages
from app.pages.questions import question_pages
from app.pages.tokens import token_pages
from app.pages.users import user_pages
from app.problems import answer_errors
from app.site import Site
from checkout.config import DashboardsSettings, LoadedConfig
from checkout.web_settings import WebSettings


def create_app(site: Site, accounts: Accounts | None = None, config: LoadedConfig | None = None) -> Flask:
    """Return the WSGI application that shows `site`; the caller starts and stops the site.

    Args:
        site: what is shown.
        accounts: who may see it; by default those of the site's store, and nobody must log in.
        config: of the site; without it, what concerns the configuration file answers that there is none.
    """
    services = make_services(site, config)
    accounts = accounts or make_accounts(site.store.accounts(), WebSettings())
    app = Flask("app")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.wsgi_app = TrustedProxy(app.wsgi_app, accounts.web.accounts.proxy)  # type: ignore[method-assign]
    answer_errors(app)
    stand_guard(app, site, accounts, identify_by(accounts), protect_forms(app, accounts.key))
    speak(app, site.timezone)
    dashboards = DashboardsSettings() if config is None else config.site.dashboards
    add_frame(app, site, accounts, off_rail=frozenset() if dashboards.url else frozenset({"/dashboards"}))
    app.register_blueprint(live_pages(site))
    app.register_blueprint(picture_pages(site, services.viewers))
    app.register_blueprint(display_pages(site))
    app.register_blueprint(bill_pages(site, services))
    app.register_blueprint(question_pages(site))
    app.register_blueprint(dashboard_pages(dashboards))
    app.register_blueprint(desk_pages(site, config))
    app.register_blueprint(login_pages(accounts))
    app.register_blueprint(account_pages(accounts))
    app.register_blueprint(user_pages(site, accounts))
    app.register_blueprint(token_pages(site, accounts))
    app.register_blueprint(audit_pages(accounts))
    app.register_blueprint(api_blueprint(services))
    site.measure(ApiFigures(services.outbox, services.consumers, services.viewers))
    _health(app, site)
    return app


def _health(app: Flask, site: Site) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @app.get("/readiness")
    def readiness() -> Response:
        waiting = site.not_ready()
        # Everybody may know whether; which lanes and why is told to those who may see them.
        told = [line for line in waiting if current_person().may_see(line.partition(":")[0])]
        response = jsonify({"ready": not waiting, "waiting_for": told})
        response.status_code = 503 if waiting else 200
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(site.metrics_text(), mimetype="text/plain; version=0.0.4; charset=utf-8")
