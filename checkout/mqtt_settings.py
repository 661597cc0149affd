"""Settings of the MQTT broker; beside the rest of the configuration, so that `fleet` stays above `checkout`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from core.settings import Settings


class MqttSettings(Settings):
    """The MQTT 5 broker that events, bills and states go to."""

    host: str = Field(min_length=1, description="Name or address of the broker")
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port; 8883 is usual with tls")
    topic_prefix: str = Field(
        default="traylane", pattern=r"^[^#+/\s\x00]+(/[^#+/\s\x00]+)*$", description="All topics begin with it"
    )
    client_id: str = Field(default="", max_length=64, description="Unique at the broker; made from the site if empty")
    user: str = Field(default="", description="User name at the broker")
    password: SecretStr = Field(default=SecretStr(""), description='Give it as "${MQTT_PASSWORD}"')
    tls: bool = Field(default=False, description="Encrypt, and check the broker's certificate")
    ca_file: Path | None = Field(default=None, description="Certificates to trust, PEM; the system's if unset")
    keepalive_s: int = Field(default=15, ge=5, le=3600, description="A broker silent for 1.5 times this is lost")
    timeout_s: float = Field(default=5.0, gt=0, le=120, description="Connecting and each acknowledgement, at most")
    stats_s: float = Field(default=30.0, ge=1, le=3600, description="How often figures are sent")
    remote_control: bool = Field(default=True, description="Obey PREFIX/LANE/detect/set and PREFIX/LANE/events/resend")
    home_assistant: bool = Field(default=False, description="Announce the lanes to Home Assistant")
    discovery_prefix: str = Field(default="homeassistant", pattern=r"^[^#+\s\x00]+$", description="Its discovery topic")

    @model_validator(mode="after")
    def _no_open_password(self) -> MqttSettings:
        if self.password.get_secret_value() and not self.user:
            raise ValueError("a password without a user; give mqtt.user too")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file is given, but tls is off; set tls: true")
        return self
